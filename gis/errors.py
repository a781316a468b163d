"""Every error this project raises on purpose: what went wrong and what to do next, in words a cadre understands."""

from __future__ import annotations


class OnemapError(Exception):
    """Base of all deliberate errors.

    Parameters
    ----------
    message : str
        What happened, in Chinese.
    next_step : str
        What the person can do about it, in Chinese, verb first.
    """

    status = 500
    exit_code = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class NotFound(OnemapError):
    """查无此项: the thing asked for does not exist, or is not the asker's to see."""

    status = 404


class BadRequest(OnemapError):
    """请求有误: the request itself makes no sense."""

    status = 400


class Conflict(OnemapError):
    """已有人先办: what was seen is no longer what stands; somebody was quicker.

    Parameters
    ----------
    standing : object
        What stands now, for whoever asked to look at; None: not known.
    """

    status = 409

    def __init__(self, message: str, *, next_step: str = "", standing: object = None) -> None:
        super().__init__(message, next_step=next_step)
        self.standing = standing


class TooLarge(OnemapError):
    """超出上限: the answer or the upload would be larger than allowed."""

    status = 413


class BadInput(OnemapError):
    """文件有误: a file was refused; nothing was stored."""

    status = 422
    exit_code = 2


class StoreUnavailable(OnemapError):
    """数据库连不上."""

    status = 503
    exit_code = 3


class StorageFull(OnemapError):
    """存储已满: nothing was stored; reading goes on."""

    status = 507
    exit_code = 4


class SetupProblem(OnemapError):
    """环境有问题: a port, a disk, a version or a privilege; `./onemap doctor` says more."""

    exit_code = 4


class DefinitionError(OnemapError):
    """定义文件有误: a TOML, CSV or SQL definition under data/ or sql/ does not load."""

    exit_code = 5


class NotSignedIn(OnemapError):
    """未登录: nobody is signed in, or what was given to sign in with is wrong."""

    status = 401


class Forbidden(OnemapError):
    """没有权限: signed in, but the role may not do this."""

    status = 403


class TooManyRequests(OnemapError):
    """请求太频繁: try again after `retry_after_s` seconds."""

    status = 429

    def __init__(self, message: str, *, next_step: str = "", retry_after_s: int) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_s = retry_after_s
