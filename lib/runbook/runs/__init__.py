"""One headless run: a plan from the parameters, a kernel of its own, the notebook executed, the bundle left."""
