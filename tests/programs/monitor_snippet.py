"""The integration that users have, with enough around it to run."""

# fmt: off
from memory_monitor import (init_global_monitor, get_global_monitor, memory_checkpoint, memory_context, monitor_function)  # noqa: E501, I001
kb = 512
monitor = init_global_monitor(name="deepseek_backtest", log_file="memory_monitor_deepseek_20251120_103045.log",  # noqa: E501
                              warning_threshold_mb=800, critical_threshold_mb=950, check_interval=5.0)  # noqa: E501
memory_checkpoint("加载config_AFTER", f"config大小估计~{kb}KB")
with memory_context("加载大型数据"):
    kept = bytearray(20 * 1024 * 1024)
@monitor_function("phase3_optimizer")
def optimise(rounds):
    return rounds + 1
# fmt: on
assert optimise(1) == 2
assert get_global_monitor() is monitor
monitor.stop_background_monitor();  print(monitor.generate_report())  # noqa: E702  # fmt: skip
