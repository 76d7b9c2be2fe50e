"""What all engines share: deployment, ledger, weights, cache, rules of layouts, flags."""
