"""Writes training/tests/fixtures/grpo.json: advantages, losses and gradients of learning by reward, computed by torch.

Usage: python reference/grpo_vectors.py [OUT]

The formulas are written here from the papers (arXiv 2402.03300, 2503.14476, 1912.09729) and differentiated by autograd, so
that nothing is shared with what is tested. Every branch of clip, dual clip and the clamp of the KL term is hit; the
script fails if one is not.
"""

import json
import pathlib
import sys

import torch

OUT = pathlib.Path(__file__).parent.parent / "training/tests/fixtures/grpo.json"
SIZE = 7  # of the vocabulary


def advantages(rewards, scale):
    rewards = torch.tensor(rewards, dtype=torch.float64)
    centred = rewards - rewards.mean()
    return (centred / (rewards.std(unbiased=True) + 1e-6) if scale == "std" else centred).tolist()


def losses(logits, tokens, config, temperature):
    """Losses of all tokens without their weights, and what happened to each."""
    logprobs = torch.log_softmax(logits / temperature, -1)
    at = torch.arange(len(tokens))
    lp = logprobs[at, torch.tensor([t["id"] for t in tokens])]
    old = torch.stack([lp[n].detach() if t["old"] is None else torch.tensor(t["old"]).double() for n, t in enumerate(tokens)])
    advantage = torch.tensor([t["advantage"] for t in tokens]).double()
    log_ratio = lp - old
    bounds = torch.log(torch.tensor([1 - config["clip_low"], 1 + config["clip_high"]]).double())
    free = -advantage * log_ratio.exp()
    held = -advantage * log_ratio.clamp(bounds[0], bounds[1]).exp()
    loss = torch.maximum(free, held)
    is_clipped = held > free
    is_dual = torch.zeros_like(is_clipped)
    if config["dual_clip"] > 0:
        most = -advantage * config["dual_clip"]
        is_dual = (advantage < 0) & (loss > most)
        loss = torch.where(advantage < 0, torch.minimum(loss, most), loss)
    policy = loss
    kl = torch.zeros_like(loss)
    is_clamped = torch.zeros_like(is_clipped)
    if config["kl"] > 0:
        distance = torch.tensor([t["reference"] for t in tokens]).double() - lp
        estimate = distance.exp() - distance - 1
        kl = estimate.clamp(-config["kl_clamp"], config["kl_clamp"])
        is_clamped = estimate != kl
        loss = loss + config["kl"] * kl
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return loss, policy, kl, entropy, is_clipped & ~is_dual, is_dual, is_clamped


def case(seed, n, config, temperature, n_micro_batches, first_update=False):
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)
    logits = (2 * normal(n, SIZE)).float().double().requires_grad_()
    ids = torch.randint(0, SIZE, (n,), generator=generator).tolist()
    now = torch.log_softmax(logits / temperature, -1)[torch.arange(n), torch.tensor(ids)].detach()
    f32 = lambda x: float(x.float())
    tokens = []
    for i in range(n):
        # A third near, a third at some distance, a third far: each branch on either side.
        spread = [0.05, 0.6, 2.0][i % 3]
        tokens.append({
            "id": ids[i],
            "old": None if first_update else f32(now[i] + spread * normal(1)[0]),
            "reference": f32(now[i] + (4.0 if i % 7 == 0 else 0.7) * normal(1)[0]) if config["kl"] > 0 else None,
            "advantage": f32(normal(1)[0]),
        })
    loss, policy, kl, entropy, clipped, dual, clamped = losses(logits, tokens, config, temperature)
    # As the reference adds up: the mean of each micro-batch, then their mean.
    parts = [torch.arange(n)[part::n_micro_batches] for part in range(n_micro_batches)]
    total = {"global": loss.mean(), "micro_batch": torch.stack([loss[part].mean() for part in parts]).mean()}
    gradients = {name: torch.autograd.grad(value, logits, retain_graph=True)[0].flatten().tolist() for name, value in total.items()}
    return {
        "config": config, "temperature": temperature, "n_micro_batches": n_micro_batches,
        "logits": logits.detach().flatten().tolist(), "tokens": tokens,
        "policy": policy.tolist(), "kl": kl.tolist(), "entropy": entropy.tolist(),
        "clipped": clipped.tolist(), "dual_clipped": dual.tolist(), "clamped": clamped.tolist(),
        "total": {name: value.item() for name, value in total.items()}, "gradients": gradients,
    }


def main():
    base = {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": 3.0, "kl": 0.01, "kl_clamp": 10.0}
    cases = [
        case(1, 42, base, 1.0, 3),
        case(2, 42, base | {"kl": 0.0}, 1.0, 2),
        case(3, 42, base | {"dual_clip": 0.0, "kl": 0.3, "kl_clamp": 0.5}, 1.0, 6),
        case(4, 30, base | {"kl": 0.0, "clip_high": 0.2}, 0.7, 5),
        case(5, 30, base, 1.3, 3, first_update=True),
    ]
    for name in ("clipped", "dual_clipped", "clamped"):
        hits = sum(sum(one[name]) for one in cases)
        assert hits >= 5, f"{name} is hit {hits} times"
    for one in cases[:1]:
        sides = {t["advantage"] > 0 for t, hit in zip(one["tokens"], one["clipped"]) if hit}
        assert sides == {True, False}, "the clip is hit on one side only"
    groups = [[1.0, 0.0, 0.0, 0.0, 1.0], [0.3, 0.7, 0.1], [0.5, 0.5], [2.0, -1.0], [0.0, 0.0, 0.0, 1e-3]]
    result = {
        "torch": torch.__version__,
        "advantages": [{"rewards": g, "std": advantages(g, "std"), "none": advantages(g, "none")} for g in groups],
        "cases": cases,
    }
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    out.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
