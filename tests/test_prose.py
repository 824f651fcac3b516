"""The texts for users: short sentences that speak to the reader, without semicolons."""

from __future__ import annotations

import pytest
from prose import count, per_10000, sentences, texts

AT_MOST = {"semicolons": 20, "what": 10, "long sentences": 20}
PAGE = """---
title: front; matter
---
# A question?

You read [a link](page.md); `code; here` is one word. What follows
is a list:

- one item.
- another

| what | cell; two |
|---|---|

```python
x = 1; y = 2  # what
```

    indented; code
"""


def test_code_and_front_matter_are_not_counted():
    found = count([PAGE])
    assert (found["semicolons"], found["what"], found["you"]) == (2, 2, 1)
    assert "A question?" in sentences(PAGE)
    assert sentences("One, two. Three (et al. 2023).") == ["One, two.", "Three (et al. 2023)."]
    assert count(["word " * 26 + ".", "word " * 25 + "."])["long sentences"] == 1


def test_the_aims_are_met():
    everything = [text for part in texts().values() for text in part.values()]
    found = per_10000(count(everything))
    assert found["you"] > 30, found
    assert all(found[habit] < most for habit, most in AT_MOST.items()), found


@pytest.mark.parametrize("part", ["README, docs", "notebooks", "--help", "settings"])
def test_each_part_is_read(part):
    assert count(texts()[part].values())["words"] > 1000
