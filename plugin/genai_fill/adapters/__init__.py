"""The outside world without nuke or Qt."""
