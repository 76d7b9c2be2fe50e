"""What runs on the machines that somebody has: a machine in words, a list of models worth trying, and each of them started as its engine would."""
