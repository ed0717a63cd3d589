"""Push messages to phones and browsers, by Google's service and by Apple's."""
