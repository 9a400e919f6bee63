"""What every floor may use: ids, clock, errors, JSON, settings."""
