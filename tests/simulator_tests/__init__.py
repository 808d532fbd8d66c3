"""The stand-in world is strict, and says so: what these tests show, every other test may rely on."""
