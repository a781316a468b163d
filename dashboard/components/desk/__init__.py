"""Parts of the desk (工作台): queue, board, card, forms. Pure functions from dataclasses to components."""
