"""The product's speed, side by side with the least that could do the same (docs/performance.md)."""
