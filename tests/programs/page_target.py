"""A few phases with something in each list, and labels that try to be markup."""

import copy
import json

from memdeep import checkpoint, phase

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def load() -> object:
    item = json.dumps({"名称": "项目", "值": list(range(1000, 1012))})
    text = f"[{','.join([item] * 12_000)}]"
    return json.loads(text)


with phase("加载config"):
    config = load()
with phase("复制"):
    copied = copy.deepcopy(config)
with phase(HOSTILE):
    blocks = [bytearray(100_000) for _ in range(20)]
    passing = [bytearray(100_000) for _ in range(60)]
    del passing
checkpoint("删除_BEFORE", HOSTILE)
del blocks[:]
checkpoint("删除_AFTER")
