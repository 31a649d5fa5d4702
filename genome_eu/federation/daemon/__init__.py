"""A site's daemon: looks at the exchange, judges plans, holds or answers them, loses no step."""
