"""SMS, by one provider of several."""
