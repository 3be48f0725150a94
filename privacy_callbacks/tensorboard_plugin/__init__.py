"""TensorBoard's Privacy tab: reads what audits logged, and serves the page that shows it. Imports no TensorFlow and no Keras."""
