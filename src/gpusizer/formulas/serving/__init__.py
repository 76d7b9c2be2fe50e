"""From steps to a service."""
