#!/bin/sh
# Draft, publish, wait, call the gateway, withdraw, delete: with nothing but curl and a token.
#
#   URL=https://imp.example.com TOKEN=impg_… PRODUCT=<product id> CLUSTER=kr-prod GATEWAY=prod-gateway \
#   PROXY=http://gateway.example.com:8080 PATH_TO_CALL=/billing  sh publish.sh
set -eu

API="$URL/api/v1"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call METHOD URL [BODY]: prints the body; what is refused ends the script with the reason.
call() {
    status=$(curl -sS -o "$answer" -w '%{http_code}' -X "$1" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
        -H 'Accept-Language: en' ${KEY:+-H "Idempotency-Key: $KEY"} ${3:+-d "$3"} "$2")
    case "$status" in
        2*) cat "$answer" ;;
        *) echo "$1 $2: $status $(cat "$answer")" >&2; exit 1 ;;
    esac
}

# field NAME: the first text of that name in the JSON on standard input.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# id_of NAME: the id of the thing of that name in a list.
id_of() { tr '{' '\n' | grep "\"name\": *\"$1\"" | field id; }

# finished OPERATION: waits until it has ended; anything but SUCCEEDED ends the script.
finished() {
    tries=0
    while :; do
        phase=$(call GET "$API/provider/operations/$1" | tr '{' '\n' | sed -n 2p | field phase)
        case "$phase" in
            SUCCEEDED) return ;;
            QUEUED | SENT) tries=$((tries + 1)); [ "$tries" -lt 300 ] || { echo "operation $1 takes too long" >&2; exit 1; }; sleep 0.2 ;;
            *) echo "operation $1: $phase $(cat "$answer")" >&2; exit 1 ;;
        esac
    done
}

cluster=$(call GET "$API/operator/clusters" | id_of "$CLUSTER")
gateway=$(call GET "$API/provider/gateways?cluster_id=$cluster" | id_of "$GATEWAY")

KEY="draft-$$-$(date +%s)"
draft=$(call POST "$API/provider/products/$PRODUCT/publishes" "{\"cluster_id\": \"$cluster\", \"gateway_id\": \"$gateway\"}")
KEY=
publish=$(echo "$draft" | field id)
host=$(echo "$draft" | field hostname_base)
echo "draft $publish for $host"

finished "$(call POST "$API/provider/product-publishes/$publish/publish" '{"note": "from publish.sh"}' | field id)"
echo "live: $(curl -sS -o /dev/null -w '%{http_code}' -H "Host: $host" "$PROXY$PATH_TO_CALL")"

finished "$(call POST "$API/provider/product-publishes/$publish/withdraw" '{"reason": "the end of publish.sh"}' | field id)"
echo "withdrawn: $(curl -sS -o /dev/null -w '%{http_code}' -H "Host: $host" "$PROXY$PATH_TO_CALL")"

finished "$(call DELETE "$API/provider/product-publishes/$publish" | field id)"
echo "deleted"
