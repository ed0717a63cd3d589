"""What became of messages: clicks, receipts, reports, trials."""
