"""Sample order and blending as workloads.md section 10 describes them, in numpy: its own RandomState does the shuffling.

    sample_order.py          writes tests/data/golden/sample_order.json
    sample_order.py --check  compares with the committed file; exit 77 where numpy is missing

SPDX-License-Identifier: Apache-2.0
"""
import json
import math
import os
import pathlib
import sys

try:
    import numpy
except ImportError:
    # The Python that holds the official checker has numpy too.
    other = os.environ.get("TIMETRIAL_MLPERF_PYTHON")
    if other and pathlib.Path(other).absolute() != pathlib.Path(sys.executable).absolute():
        os.execv(other, [other, "-B", *sys.argv])
    print("numpy is not installed: nothing compared")
    sys.exit(77)

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "data" / "golden" / "sample_order.json"


def document_lengths(path):
    """Tokens of every document of an .idx file whose documents are one sequence each, as ours are."""
    head = numpy.fromfile(path, dtype=numpy.uint8, count=34)
    documents = int(head[18:26].view(numpy.int64)[0])
    return numpy.fromfile(path, dtype=numpy.int32, offset=34, count=documents)


def layout(lengths, s, wanted, seed):
    """(epochs, separate last epoch, file positions of all epochs' tokens one after the other, order of the samples). Sample i is
    tokens i * s to i * s + s of that stream."""
    begins = numpy.concatenate([[0], numpy.cumsum(lengths)])
    per_epoch = int(begins[-1])
    epochs = 1 if wanted == 0 else max(1, math.ceil((wanted * s + 1) / per_epoch))
    total = (epochs * per_epoch - 1) // s
    separate, head = False, total
    if epochs > 1:
        before = ((epochs - 1) * per_epoch - 1) // s
        separate = wanted - before < int(0.80 * ((per_epoch - 1) // s))
        head = before if separate else total
    random = numpy.random.RandomState(seed)
    ids = numpy.arange(len(lengths), dtype=numpy.int32)
    if separate:
        documents = numpy.tile(ids, epochs - 1)
        random.shuffle(documents)
        last = ids.copy()
        random.shuffle(last)
        documents = numpy.concatenate([documents, last])
    else:
        documents = numpy.tile(ids, epochs)
        random.shuffle(documents)
    stream = numpy.concatenate([numpy.arange(begins[d], begins[d + 1]) for d in documents])
    first = numpy.arange(head, dtype=numpy.uint32)
    random.shuffle(first)
    second = numpy.arange(head, total, dtype=numpy.uint32)
    random.shuffle(second) if separate else None
    return epochs, bool(separate), stream, numpy.concatenate([first, second]) if separate else first


def order(lengths, s, wanted, seed):
    """(epochs, separate last epoch, token positions of every dataset item)."""
    epochs, separate, stream, shuffled = layout(lengths, s, wanted, seed)
    return epochs, separate, [stream[i * s: i * s + s + 1].tolist() for i in shuffled.astype(int)]


def blend(weights, samples):
    shares = numpy.array(weights, dtype=float) / numpy.sum(weights)
    counts = numpy.zeros(len(weights))
    items = []
    for i in range(samples):
        chosen = int(numpy.argmax(shares * max(i, 1) - counts))
        items.append([chosen, int(counts[chosen])])
        counts[chosen] += 1
    requested = [math.ceil(math.ceil(samples * share) * 1.005) for share in shares]
    return requested, items


def documents(count, step, most):
    return [1 + i * step % most for i in range(count)]


def golden():
    orders, blends = [], []
    for lengths, s, wanted, seed in [
        (documents(20, 7, 23), 8, 0, 1234),       # one epoch
        (documents(20, 7, 23), 8, 90, 1234),      # several, the last one nearly whole: mixed
        (documents(20, 7, 23), 8, 62, 42),        # several, the last one hardly begun: on its own
        (documents(9, 5, 13), 16, 40, 1),         # sequences longer than documents
        (documents(31, 11, 29), 5, 400, 4294967295),
    ]:
        epochs, separate, items = order(lengths, s, wanted, seed)
        orders.append({"lengths": lengths, "sequence_length": s, "samples": wanted, "seed": seed, "epochs": epochs,
                       "separate_last_epoch": separate, "items": items})
    for weights, samples in [([1, 1], 24), ([0.5, 0.5], 7), ([3, 1], 25), ([0.2, 0.3, 0.5], 60)]:
        requested, items = blend(weights, samples)
        blends.append({"weights": weights, "samples": samples, "requested": requested, "items": items})
    assert {o["separate_last_epoch"] for o in orders if o["epochs"] > 1} == {False, True}
    return {"orders": orders, "blends": blends}


if __name__ == "__main__":
    text = json.dumps(golden()) + "\n"
    if "--check" in sys.argv:
        same = GOLDEN.read_text() == text
        print(f"{GOLDEN.name}: {'as numpy ' + numpy.__version__ + ' gives it' if same else 'differs from what numpy gives'}")
        sys.exit(0 if same else 1)
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(text)
