"""Raw media to feature stores: everything that happens before a model sees a number."""
