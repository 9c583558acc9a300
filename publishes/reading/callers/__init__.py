"""What a page tells callers: keys, issuer, the curl command. Keys are read without their secrets."""
