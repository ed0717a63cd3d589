"""The parts of the embedded state; `geoengine.state.local` puts them together."""
