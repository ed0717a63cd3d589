"""HTTP as it is spoken here: both listeners, problems, batches, the OpenAPI document."""
