"""The SMA-cross example of the package `backtesting`, with only `phase()` lines added."""

import warnings

from memdeep import phase

with phase("import"):
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover
    from backtesting.test import GOOG, SMA

warnings.filterwarnings("ignore")


class SmaCross(Strategy):
    n1 = 10
    n2 = 20

    def init(self):
        close = self.data.Close
        self.sma1 = self.I(SMA, close, self.n1)
        self.sma2 = self.I(SMA, close, self.n2)

    def next(self):
        if crossover(self.sma1, self.sma2):
            self.position.close()
            self.buy()
        elif crossover(self.sma2, self.sma1):
            self.position.close()
            self.sell()


if __name__ == "__main__":
    backtest = Backtest(GOOG, SmaCross, commission=0.002, exclusive_orders=True)
    with phase("run"):
        first = backtest.run()
    with phase("optimize"):
        best, heatmap = backtest.optimize(
            n1=range(5, 30, 5),
            n2=range(10, 70, 10),
            maximize="Equity Final [$]",
            constraint=lambda parameters: parameters.n1 < parameters.n2,
            return_heatmap=True,
        )
    with phase("keep the equity curves"):
        curves = [backtest.run(n1=n1, n2=n2)["_equity_curve"] for n1, n2 in heatmap.index]
    print(first["# Trades"], best["# Trades"], len(curves))
