"""What a model class implies where its configuration says nothing."""
