"""Who may call a publish: keys, issuers, settings of an auth mode. Only this room makes keys and asks issuers."""
