"""Range membership inference: does the model remember anything near a record? (Nothing public here yet.)"""
