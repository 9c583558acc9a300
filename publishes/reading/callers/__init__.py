"""What a publish's page says to its callers: keys, issuer, the curl command. Reads keys without their secrets."""
