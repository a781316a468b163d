"""Who is signed in: name, role, where, and the way out. Stands at the right end of the top bar."""

from __future__ import annotations

from functools import cache

from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.access.principal import Principal, current
from gis.access.roles import Roles
from gis.settings import ROOT


@cache
def _roles() -> Roles:
    return Roles.load(ROOT / "data")


def menu(t: Catalogue, principal: Principal | None = None, *, where: str = "") -> Component:
    """Return the menu of the person who asks; outside a request of somebody only what callbacks look for, hidden.

    Parameters
    ----------
    principal : Principal or None
        None: the one of the request at hand.
    where : str
        Names of the divisions of their scope, when known.
    """
    principal = principal or current.get()
    if principal is None:
        # Dash holds its callbacks against a layout made at the start, when nobody asks.
        return html.Div([html.Span(id="user-where"), html.Span(id="user-where-card")], hidden=True)
    # The place is read by a callback (dashboard/callbacks/whereabouts.py): the frame itself asks the store nothing.
    known = _roles().by_id.get(principal.role)
    role = known.name_en if known and t.language == "en" else principal.role_name
    name = principal.display_name
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(name[:1], className="avatar", **{"aria-hidden": "true"}),
                    html.Span(
                        [html.B(name), html.Small([role, html.Span(where, id="user-where")])], className="user-words"
                    ),
                    icon("chevron-down", small=True),
                ],
                className="user-summary", title=t("user.menu"), **{"aria-label": f"{t('user.menu')} {name}"},
            ),
            html.Div(
                [
                    html.Div(
                        [html.B(name), html.Small(principal.login), html.Small([role, html.Span(where, id="user-where-card")])],
                        className="user-card",
                    ),
                    html.A(t("user.password"), href="/password", className="menu-item"),
                    # A form, not a link: signing out changes something, so another site must not be able to make it happen.
                    html.Form(html.Button(t("user.sign_out"), type="submit", className="menu-item"), action="/logout", method="POST"),
                ],
                className="menu menu-user",
            ),
        ],
        className="menu-holder user",
    )  # fmt: skip
