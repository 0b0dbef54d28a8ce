"""A Crisp in the box: Crisp's REST API over a seeded world, with faults on demand.

``World`` (app.sandbox.world) is the state, ``create_app`` (app.sandbox.asgi) serves it, ``run`` and
``serve`` (app.sandbox.serve) put it on a port. Imports nothing of the rest of ``app``.
"""
