"""The shapes of the contract, a file a topic; those of ingest and people are in `http.wire`."""
