"""Functions of all kinds in Spark's workers: with Arrow or without, of frames, one that fails."""

import builtins
import os
import sys

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql.functions import pandas_udf, udf
from pyspark.sql.types import LongType

os.environ["PYSPARK_PYTHON"] = sys.executable
MB = 1_000_000


def keep(size):
    vars(builtins).setdefault("kept", []).append(bytearray(size))


@udf(LongType())
def of_rows(number):
    return number + 1


@pandas_udf(LongType())
def of_batches(numbers: pd.Series) -> pd.Series:
    keep(2 * MB)
    return numbers + 1


@pandas_udf(LongType())
def beside(numbers: pd.Series) -> pd.Series:
    return numbers + 2


def of_frames(frames):
    keep(3 * MB)
    yield from frames


def each(rows):
    keep(4 * MB)
    for _ in rows:
        pass


def fails(rows):
    raise ValueError(len(list(rows)))


if __name__ == "__main__":
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.config("spark.sql.execution.arrow.pyspark.enabled", "true").getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    rows = spark.range(0, 1000, 1, 4)
    print(rows.select(of_rows("id").alias("n")).groupBy().sum("n").collect())
    both = rows.select(of_batches("id").alias("a"), beside("id").alias("b"))
    print(both.groupBy().sum("a", "b").collect())
    print(rows.mapInPandas(of_frames, "id long").count())
    rows.foreachPartition(each)
    try:
        spark.sparkContext.parallelize(range(2), 1).mapPartitions(fails).collect()
    except Exception as error:
        print(type(error).__name__)
    spark.stop()
