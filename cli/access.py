"""`./onemap access`: who may do what, accounts, scopes, demo accounts. At the machine; the web has pages for the administrators."""

from __future__ import annotations

import getpass
import json
import sys
import time
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cli.up import serving
from gis.access import accounts, scopes
from gis.access.audit import record
from gis.access.crypt import key_file, retire, rotate
from gis.access.demo import TOWNSHIP, demo_password, disable_demo_accounts, make_demo_accounts
from gis.access.resealing import keys_of_store, older, read_sealed, reseal, unlisted
from gis.access.roles import Roles, publish
from gis.access.rules import AccessRules
from gis.errors import BadRequest, SetupProblem
from gis.settings import Settings
from gis.store.engine import connect

app = typer.Typer(no_args_is_help=True, help="权限：角色、账号、范围")
account_app = typer.Typer(no_args_is_help=True, help="账号：建立、停用、重设密码、列出")
key_app = typer.Typer(no_args_is_help=True, help="个人信息的密钥：查看、更换、重新加密、丢弃旧的")
scope_app = typer.Typer(no_args_is_help=True, help="权限范围：授予、结束、列出")
app.add_typer(account_app, name="account")
app.add_typer(scope_app, name="scope")
app.add_typer(key_app, name="key")

_LEVEL = {"county": "县", "township": "乡镇", "village": "村", "grid": "网格", "none": "–"}
_Reason = Annotated[str | None, typer.Option(help="理由，记入审计")]


@app.command()
def matrix(as_json: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False) -> None:
    """谁可以做什么：角色 × 权限。例：./onemap access matrix"""
    roles = Roles.load(Settings().data)
    if as_json:
        shown = {
            "permissions": roles.sentences,
            "roles": {r.id: {"name": r.name, "name_en": r.name_en, "level": r.level, "second_factor": r.second_factor,
                             "administrator": r.administrator, "permissions": sorted(r.permissions)} for r in roles.by_id.values()},
        }  # fmt: skip
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 200)
    everybody = list(roles.by_id.values())
    table = Table("权限", *(r.name for r in everybody), "说明", box=None, header_style="bold", padding=(0, 1))
    for column in table.columns[1:-1]:
        column.justify = "center"
    table.add_row("[dim]范围[/]", *(f"[dim]{_LEVEL[r.level]}[/]" for r in everybody), "")
    table.add_row("[dim]第二因素[/]", *("[dim]要[/]" if r.second_factor else "" for r in everybody), "")
    for permission, sentence in roles.sentences.items():
        table.add_row(
            permission, *("●" if permission in r.permissions else "" for r in everybody), f"[dim]{sentence}[/]"
        )
    console.print(table)


@app.command()
def demo(
    township: Annotated[str, typer.Option(help="演示账号所在的乡镇编码；没有这个乡镇就取第一个")] = TOWNSHIP,
    disable: Annotated[bool, typer.Option("--disable", help="停用全部演示账号（正式运行前）")] = False,
) -> None:
    """建立并列出演示账号。例：./onemap access demo --township 130529200"""
    settings = Settings()
    if disable:
        with connect(settings, role="owner") as conn:
            typer.echo(f"已停用 {disable_demo_accounts(conn)} 个演示账号。")
        return
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    with connect(settings, role="owner") as conn:
        publish(conn, roles)
    made = make_demo_accounts(settings, roles=roles, rules=rules, township=township)
    table = Table("账号", "角色", "范围", box=None)
    for account in made:
        table.add_row(account.login, account.role_name, account.division_code or "–")
    Console().print(table)
    typer.echo(f"密码（全部演示账号相同，只在本机有效）：{demo_password(settings)}")


@account_app.command("list")
def account_list() -> None:
    """列出全部账号。例：./onemap access account list"""
    roles = Roles.load(Settings().data)
    with connect(Settings(), role="owner") as conn:
        found = accounts.list_accounts(conn)
    table = Table("账号", "姓名", "单位", "角色", "范围", "状态", "第二因素", "最近使用", box=None)
    for a in found:
        role = roles.of(a.role)
        table.add_row(
            a.login, a.display_name, a.unit or "", role.name if role else f"{a.role}（未定义）", "、".join(a.scope) or "–",
            {"active": "可用", "disabled": "已停用"}[a.state] + ("（演示）" if a.is_demo else ""), "有" if a.second_factor else "–",
            f"{a.seen_at:%Y-%m-%d %H:%M}" if a.seen_at else "从未",
        )  # fmt: skip
    Console().print(table)


@account_app.command("add")
def account_add(
    login: Annotated[str, typer.Argument(help="账号：小写字母、数字、点、横线")],
    role: Annotated[str, typer.Option(help="角色 id，见 ./onemap access matrix --json")],
    name: Annotated[str, typer.Option(help="姓名")],
    unit: Annotated[str | None, typer.Option(help="单位")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="区划编码，可以多个")] = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="只从统一身份认证登录")] = False,
    reason: _Reason = None,
) -> None:
    """建立账号，打印一次性密码。例：./onemap access account add wang.min --role planner --name 王敏 --scope 130529200"""
    settings = Settings()
    roles, rules = Roles.load(settings.data), AccessRules.load(settings.data)
    if roles.of(role) is None:
        raise BadRequest(f"没有角色 {role}。", next_step=f"可选：{'、'.join(roles.by_id)}")
    password = None if no_password else accounts.temporary_password()
    with connect(settings, role="owner") as conn:
        publish(conn, roles)
        made = accounts.add(
            conn, login=login, display_name=name, role=role, rules=rules, unit=unit, password=password, reason=reason
        )
        for code in scope or []:
            scopes.grant(conn, account_id=made, division_code=code, reason=reason)
    typer.echo(f"已建账号 {accounts.normal_login(login)}，角色 {roles.by_id[role].name}。")
    if password:
        typer.echo(f"一次性密码：{password}（首次登录必须改；只显示这一次）")
    if not scope and roles.by_id[role].level != "none":
        typer.echo(f"还没有范围，看不到数据。下一步：./onemap access scope add {accounts.normal_login(login)} 区划编码")


@account_app.command("disable")
def account_disable(
    login: str, enable: Annotated[bool, typer.Option("--enable", help="重新启用")] = False, reason: _Reason = None
) -> None:
    """停用账号，会话立即结束。例：./onemap access account disable wang.min --reason 调离"""
    with connect(Settings(), role="owner") as conn:
        account = accounts.account_by_login(conn, login)
        accounts.set_state(conn, account_id=account.account_id, state="active" if enable else "disabled", reason=reason)
    typer.echo(f"账号 {account.login} 已{'启用' if enable else '停用'}。")


@account_app.command("password")
def account_password(
    login: str,
    ask: Annotated[bool, typer.Option("--ask", help="自己输入密码，而不是生成一次性密码")] = False,
    reason: _Reason = None,
) -> None:
    """重设密码，会话立即结束。例：./onemap access account password wang.min"""
    settings = Settings()
    rules = AccessRules.load(settings.data)
    chosen = None
    if ask:
        from gis.access.passwords import check_strength

        chosen = getpass.getpass("新密码：")
        if chosen != getpass.getpass("再输一次："):
            raise BadRequest("两次输入的不一样。", next_step="再运行一次。")
        check_strength(chosen, login=accounts.normal_login(login), rules=rules.password)
    with connect(settings, role="owner") as conn:
        account = accounts.account_by_login(conn, login)
        password = accounts.reset_password(
            conn, account_id=account.account_id, rules=rules, password=chosen, temporary=not ask, reason=reason
        )
    typer.echo(
        f"账号 {account.login} 的密码已重设。"
        + ("" if ask else f"一次性密码：{password}（首次登录必须改；只显示这一次）")
    )


@scope_app.command("list")
def scope_list(login: Annotated[str | None, typer.Argument(help="账号；不填列全部")] = None) -> None:
    """列出权限范围。例：./onemap access scope list wang.min"""
    with connect(Settings(), role="owner") as conn:
        account_id = accounts.account_by_login(conn, login).account_id if login else None
        found = scopes.list_scopes(conn, account_id=account_id)
    table = Table("编号", "账号", "区划", "名称", "起", "止", "授予人", box=None)
    for s in found:
        table.add_row(
            str(s.scope_id), s.login, s.division_code, s.division_name or "（现行区划里没有）", str(s.valid_from),
            str(s.valid_to) if s.valid_to else "长期", s.granted_by or "命令行",
        )  # fmt: skip
    Console().print(table)


@scope_app.command("add")
def scope_add(
    login: str,
    division: Annotated[str, typer.Argument(help="区划编码：县 6 位、乡镇 9、村 12、网格 15")],
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="从这一天起失效；不填长期")] = None,
    reason: _Reason = None,
) -> None:
    """授予范围，会话立即结束、重新登录后生效。例：./onemap access scope add wang.min 130529200 --until 2027-01-01"""
    with connect(Settings(), role="owner") as conn:
        account = accounts.account_by_login(conn, login)
        made = scopes.grant(
            conn,
            account_id=account.account_id,
            division_code=division,
            valid_to=until.date() if until else None,
            reason=reason,
        )
    typer.echo(f"已授予 {account.login}：{division}（范围编号 {made}）。")


@scope_app.command("end")
def scope_end(scope_id: Annotated[int, typer.Argument(help="范围编号，见 scope list")], reason: _Reason = None) -> None:
    """结束范围，会话立即结束。例：./onemap access scope end 12 --reason 借调期满"""
    with connect(Settings(), role="owner") as conn:
        scopes.end_scope(conn, scope_id=scope_id, reason=reason)
    typer.echo(f"范围 {scope_id} 已结束。")


@key_app.command("status")
def key_status() -> None:
    """密钥能不能打开库里的内容，还有多少是旧密钥加密的。例：./onemap access key status"""
    settings = Settings()
    with connect(settings, role="owner") as conn:
        columns = read_sealed(settings.data)
        keys = keys_of_store(settings, conn)
        strange = unlisted(conn, columns)
        old = older(conn, keys=keys, columns=columns)
    typer.echo(f"密钥 {keys.current_id} 在用，抽查的每一列都能打开。密钥文件：{key_file(settings)}（请另行备份）")
    for column, n in old.items():
        typer.echo(f"旧密钥加密的：{column} {n:,} 个")
    if strange:
        typer.echo(f"✗ 和 data/access/sealed.toml 不符的列：{'、'.join(strange)}", err=True)
        raise typer.Exit(1)
    typer.echo("下一步：./onemap access key reseal" if old else "没有旧密钥加密的内容。")


@key_app.command("rotate")
def key_rotate(reason: _Reason = None) -> None:
    """加一把新密钥，以后都用它；旧的留着读旧内容。例：./onemap access key rotate --reason 每年更换"""
    settings = Settings()
    with connect(settings, role="owner") as conn:
        was = keys_of_store(settings, conn).current_id
        made = rotate(settings).current_id
        record(conn, action="key.rotated", object_kind="key", object_id=made, reason=reason, detail={"was": was})
    typer.echo(f"新密钥 {made} 已启用。先备份密钥文件 {key_file(settings)}，再运行：./onemap access key reseal")


@key_app.command("reseal")
def key_reseal() -> None:
    """用新密钥重新加密全部个人信息；中断了再运行会接着做。例：./onemap access key reseal"""
    from etl.mapping import mapping_names, read_mapping
    from etl.quarantine import seal_what_is_clear

    settings = Settings()
    columns = read_sealed(settings.data)
    with connect(settings, role="owner") as conn:
        keys = keys_of_store(settings, conn)
        if strange := unlisted(conn, columns):
            raise SetupProblem(
                f"有加密列没有登记：{'、'.join(strange)}。没有重新加密。", next_step="先补上 data/access/sealed.toml。"
            )
        # Rows an older program quarantined in clear.
        clear, known = 0, mapping_names(settings.data)
        for load_id, name in conn.execute(
            "SELECT load_id, mapping FROM intake.load WHERE rows_quarantined > 0"
        ).fetchall():
            if name in known:
                mapping = read_mapping(settings.data, name)
                clear += seal_what_is_clear(conn, load_id=load_id, mapping=mapping, vault=keys)
        if clear:
            record(
                conn, action="quarantine.sealed", object_kind="key", object_id=keys.current_id, detail={"rows": clear}
            )
    begun = time.monotonic()
    done = reseal(
        lambda: connect(settings, role="owner"), keys=keys, columns=columns,
        on_progress=lambda column, n: typer.echo(f"  {column} {n:,}") if n else None,
    )  # fmt: skip
    total = sum(done.counts.values())
    typer.echo(f"已重新加密 {total:,} 个值，用 {time.monotonic() - begun:.1f} 秒；隔离区补加密 {clear:,} 行。")
    if done.left:
        typer.echo(f"还有 {done.left:,} 个（这期间新写入的），请再运行一次。")


@key_app.command("retire")
def key_retire(reason: _Reason = None) -> None:
    """丢掉旧密钥；还有内容用着它就拒绝。旧备份要用旧密钥，请先存好。例：./onemap access key retire --reason 已重新加密"""
    settings = Settings()
    if serving(settings):
        raise SetupProblem("网页还在运行，没有丢弃旧密钥。", next_step="先停下：./onemap down，再运行一次。")
    with connect(settings, role="owner") as conn:
        keys = keys_of_store(settings, conn)
        columns = read_sealed(settings.data)
        left = older(conn, keys=keys, columns=columns)
        if left or unlisted(conn, columns):
            raise SetupProblem(
                f"还有 {sum(left.values()):,} 个值是旧密钥加密的，没有丢弃。",
                next_step="先运行：./onemap access key reseal",
            )
        dropped = retire(settings)
        record(
            conn,
            action="key.retired",
            object_kind="key",
            object_id=keys.current_id,
            reason=reason,
            detail={"dropped": dropped},
        )
    typer.echo(f"已丢弃旧密钥 {dropped} 把。更早的数据库备份要用它们才能打开。" if dropped else "没有旧密钥。")
