"""The mail about a run. It is written to a file: this example sends nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from learning import Change
from strategy import Outcome

_CHANGES_SHOWN = 12


def write_mail(
    path: Path, elite: Sequence[Outcome], over_fitted: bool, changes: Sequence[Change]
) -> None:
    """Write the mail that a real run would send to the traders."""
    message = EmailMessage(policy=default.clone(utf8=True))
    message["From"] = "backtest@example.com"
    message["To"] = "traders@example.com"
    message["Subject"] = f"DeepSeek 回测: {len(changes)} 项参数变更"
    message.set_content(_body(elite, over_fitted, changes), cte="8bit")
    path.write_bytes(message.as_bytes())


def _body(elite: Sequence[Outcome], over_fitted: bool, changes: Sequence[Change]) -> str:
    lines = ["回测已完成。", "", "最佳参数:"]
    for rank, outcome in enumerate(elite, start=1):
        lines.append(
            f"  {rank}. 得分 {outcome.score:.2f}, 胜率 {outcome.win_rate:.1%}, "
            f"{len(outcome.trades)} 笔交易: {outcome.parameters}"
        )
    lines += ["", f"过拟合: {'是, 请勿采用' if over_fitted else '否'}", "", "变更:"]
    sections = Counter(change.path.split("/")[1] for change in changes)
    lines += [f"  {section}: {count} 项" for section, count in sections.most_common()]
    lines += ["", f"前 {_CHANGES_SHOWN} 项:"]
    lines += [
        f"  {change.path}: {change.old} → {change.new}" for change in changes[:_CHANGES_SHOWN]
    ]
    return "\n".join(lines) + "\n"
