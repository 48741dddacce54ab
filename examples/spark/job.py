"""Two jobs of Spark whose workers keep memory: `memdeep run job.py` in this directory."""

import os
import sys

import features
from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = sys.executable  # the Python of the workers, which must have memdeep

if __name__ == "__main__":
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.getOrCreate()
    numbers = session.sparkContext.parallelize(range(100), 4)
    print(numbers.mapPartitionsWithIndex(features.load).map(features.score).collect())
    print(numbers.mapPartitions(features.train).sum())
    session.stop()
