"""Who may call a publish: keys, issuers, and the settings of an auth mode. The only room that writes credentials."""
