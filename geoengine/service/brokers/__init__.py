"""MQTT brokers: what phones and gateways publish, taken in and acknowledged once it is durable."""
