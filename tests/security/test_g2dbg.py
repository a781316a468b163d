from tests.security.test_gate import *
from tests.security.conftest import *
import traceback
def test_dbg(county, as_role, monkeypatch):
    dash_app=county.server.state.dash
    c=as_role("commander")
    c2=TestClient(county.server, client=("10.0.0.9",5000), raise_server_exceptions=True, cookies=c.cookies)
    print(c2.post("/_dash-update-component", json=body_of("desk-mark.children", dash_app), headers=OURS).text)
