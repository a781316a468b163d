"""Who is signed in: name, role, where, and the way out. Stands at the right end of the top bar."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.access.principal import Principal, current


def menu(t: Catalogue, principal: Principal | None = None, *, where: str = "") -> Component | None:
    """Return the menu of the person who asks; None outside a request of somebody.

    Parameters
    ----------
    principal : Principal or None
        None: the one of the request at hand.
    where : str
        Names of the divisions of their scope, when known.
    """
    principal = principal or current.get()
    if principal is None:
        return None
    what = f"{principal.role_name} · {where}" if where else principal.role_name
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(principal.display_name[:1], className="avatar", **{"aria-hidden": "true"}),
                    html.Span([html.B(principal.display_name), html.Small(what)], className="user-words"),
                    icon("chevron-down", small=True),
                ],
                className="user-summary", title=t("user.menu"), **{"aria-label": f"{t('user.menu')} {principal.display_name}"},
            ),
            html.Div(
                [
                    html.Div([html.B(principal.display_name), html.Small(principal.login), html.Small(what)], className="user-card"),
                    html.A(t("user.password"), href="/password", className="menu-item"),
                    # A form, not a link: signing out changes something, so another site must not be able to make it happen.
                    html.Form(html.Button(t("user.sign_out"), type="submit", className="menu-item"), action="/logout", method="POST"),
                ],
                className="menu menu-user",
            ),
        ],
        className="menu-holder user",
    )  # fmt: skip
