"""Who may call a publish: keys, issuers, settings of an auth mode. Nobody else makes keys or asks issuers."""
