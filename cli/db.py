"""`./onemap db`: databases of this store, for developers and administrators."""

from __future__ import annotations

import typer

from gis.settings import Settings
from gis.store.migrate import apply_schema, create_database, drop_database, migrate

app = typer.Typer(no_args_is_help=True, help="数据库：建立、迁移、删除（开发与管理员用）")


@app.command()
def create(name: str) -> None:
    """建一个空库并写入全部表结构。例：./onemap db create scratch"""
    settings = Settings()
    if not create_database(settings, name=name):
        typer.echo(f"库 {name} 已存在，未改动。")
        raise typer.Exit(1)
    apply_schema(settings, name=name)
    typer.echo(f"已建库 {name}。")


@app.command()
def drop(name: str) -> None:
    """删除一个库。例：./onemap db drop scratch"""
    drop_database(Settings(), name=name)
    typer.echo(f"已删库 {name}。")


@app.command("migrate")
def migrate_command() -> None:
    """把本县的库升级到当前版本。例：./onemap db migrate"""
    done = migrate(Settings())
    typer.echo("已应用：" + "、".join(done) if done else "已是最新，无需迁移。")
