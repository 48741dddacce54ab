"""Two recordings of one session: of what is done within them, and of nothing else."""

import builtins
import os
import sys

from pyspark.sql import SparkSession

import memdeep.record.api
from memdeep.integrations import spark as recorded_spark

os.environ["PYSPARK_PYTHON"] = sys.executable
MB = 1_000_000


def keep(partition, rows):
    vars(builtins).setdefault("kept", []).append(bytearray((partition + 1) * MB))
    yield memdeep.record.api.is_recording()


if __name__ == "__main__":
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = session.getOrCreate()
    numbers = spark.sparkContext.parallelize(range(100), 4)

    def collect():
        return set(numbers.mapPartitionsWithIndex(keep).collect())

    before = dict(spark.sparkContext.environment)
    print("before", collect())
    for number in "12":
        with recorded_spark.recording(spark, f"run{number}", partitions=number == "2") as run:
            inside = numbers.mapPartitionsWithIndex(keep)
            print("within", set(inside.collect()))
        run.report()
        print("after", collect(), set(inside.collect()))
    print(spark.sparkContext.environment == before)
    spark.stop()
