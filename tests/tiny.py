"""Tiny tokenizers, and models with random weights, saved as ordinary Hugging Face folders."""

import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SENTENCES = (
    "The option to convert models between FARM and transformers gives freedom to the user.",
    "Who wrote the letter, and when was the bridge over the river opened?",
    "The bridge was opened in 1874; the letter was written by Ada Lovelace.",
    "Die Brücke über den Fluss wurde 1874 eröffnet, sagte die Müllerin.",
    "De brief werd geschreven door een vrouw uit Antwerpen.",
    "橋は1874年に開通しました。",
)
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
HIDDEN = 32


class Recipe(NamedTuple):
    """``special`` also chooses the pair template; ``taken`` positions of a model lie before its first token's."""

    kind: str
    tokenizer_class: str
    special: list[str]
    taken: int = 0


ARCHITECTURES = {
    "bert": Recipe("wordpiece", "BertTokenizer", BERT),
    "roberta": Recipe("bpe", "RobertaTokenizer", ROBERTA, 2),
    "xlm-roberta": Recipe("unigram", "XLMRobertaTokenizer", ROBERTA, 2),
    "distilbert": Recipe("wordpiece", "DistilBertTokenizer", BERT),
    "electra": Recipe("wordpiece", "ElectraTokenizer", BERT),
    "mpnet": Recipe("wordpiece", "MPNetTokenizer", ROBERTA, 2),
    "deberta-v2": Recipe("unigram", "DebertaV2Tokenizer", BERT),
    "camembert": Recipe("unigram", "CamembertTokenizer", ROBERTA, 2),
    "modernbert": Recipe("bpe", "PreTrainedTokenizerFast", BERT),
}


def make_tokenizer(kind: str, special: list[str] | None = None) -> Tokenizer:
    """A "wordpiece", "bpe" (byte level) or "unigram" tokenizer with the template of BERT or RoBERTa.

    It is the same each time, which tokenizers' trainers for WordPiece and Unigram do not promise.
    """
    if special is None:
        special = BERT if kind == "wordpiece" else ROBERTA
    unknown = next(number for number, token in enumerate(special) if "unk" in token.lower())
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece())
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        letters, heads, tails = _pieces(tokenizer)
        pieces = [*special, *letters, *heads, *(f"##{piece}" for piece in (*letters, *tails))]
        vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
        tokenizer.model = models.WordPiece(vocabulary, unk_token=special[unknown])
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(SENTENCES, trainer)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
        )
        tokenizer.decoder = decoders.Metaspace()
        letters, heads, tails = _pieces(tokenizer)
        scores = dict.fromkeys(special, 0.0) | dict.fromkeys(letters, -9.0)
        for piece in (*heads, *tails):
            scores.setdefault(piece, -5.0)
        tokenizer.model = models.Unigram(list(scores.items()), unk_id=unknown)
    else:
        raise ValueError(kind)
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = pair_template(tokenizer)
    return tokenizer


def _pieces(tokenizer: Tokenizer) -> tuple[list[str], list[str], list[str]]:
    """The letters, first halves and second halves of the words of SENTENCES, each sorted."""
    texts = (tokenizer.normalizer.normalize_str(sentence) for sentence in SENTENCES)
    words = {word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)}
    tails = {word[4:] for word in words} - {""}
    return sorted({letter for word in words for letter in word}), sorted({word[:4] for word in words}), sorted(tails)


def pair_template(tokenizer: Tokenizer) -> Any:
    """BERT's template with its type ids, or RoBERTa's with two separators, as the special tokens have it."""
    if tokenizer.token_to_id("[CLS]") is not None:
        single, pair = "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"
    else:
        single, pair = "<s> $A </s>", "<s> $A </s> </s> $B </s>"
    ids = [(token, tokenizer.token_to_id(token)) for token in (single.split()[0], single.split()[-1])]
    return processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)


def save_tokenizer(folder: Path, tokenizer: Tokenizer, tokenizer_class: str) -> None:
    """Write tokenizer.json and tokenizer_config.json as folders on the hub hold them."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = BERT if tokenizer.token_to_id("[CLS]") is not None else ROBERTA
    roles = ("pad", "unk", "cls", "sep", "mask") if special is BERT else ("cls", "pad", "sep", "unk", "mask")
    content = {f"{role}_token": token for role, token in zip(roles, special, strict=True)}
    content["tokenizer_class"] = tokenizer_class
    (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")


def make_reader_folder(folder: Path, architecture: str = "bert", positions: int = 512) -> Path:
    """Save a model for question answering that sees windows of ``positions`` tokens; needs torch.

    Its weights are random but large enough that every input matters.
    """
    from transformers import AutoModelForQuestionAnswering

    return _make_folder(folder, architecture, positions, AutoModelForQuestionAnswering)


def make_encoder_folder(
    folder: Path, architecture: str = "bert", pooling: str = "mean", prompts: dict[str, str] | None = None
) -> Path:
    """Save an encoder in the layout of sentence-transformers, likewise, which reads up to 40 tokens; needs torch."""
    from transformers import AutoModel

    _make_folder(folder, architecture, 64, AutoModel)
    (folder / "1_Pooling").mkdir()
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds)
    ]
    switches = {f"pooling_mode_{name}": pooling in name for name in ("cls_token", "mean_tokens", "max_tokens")}
    contents = {
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN, **switches},
        "sentence_bert_config.json": {"max_seq_length": 40, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts or {}, "default_prompt_name": None},
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _make_folder(folder: Path, architecture: str, positions: int, kind: Any) -> Path:
    import torch
    from transformers import AutoConfig

    recipe = ARCHITECTURES[architecture]
    tokenizer = make_tokenizer(recipe.kind, recipe.special)
    save_tokenizer(folder, tokenizer, recipe.tokenizer_class)
    first, last, pad = (2, 3, 0) if recipe.special is BERT else (0, 2, 1)
    config = AutoConfig.for_model(
        architecture,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=positions + recipe.taken,
        initializer_range=0.3,
        pad_token_id=pad,
        bos_token_id=first,
        cls_token_id=first,
        eos_token_id=last,
        sep_token_id=last,
        **_sizes(architecture),
    )
    torch.manual_seed(0)
    kind.from_config(config).save_pretrained(folder)
    return folder


def _sizes(architecture: str) -> dict[str, Any]:
    if architecture == "distilbert":
        return {"dim": HIDDEN, "hidden_dim": 2 * HIDDEN, "n_layers": 2, "n_heads": 2}
    sizes = {"hidden_size": HIDDEN, "intermediate_size": 2 * HIDDEN, "num_hidden_layers": 2, "num_attention_heads": 2}
    if architecture == "electra":
        sizes["embedding_size"] = HIDDEN // 2
    if architecture in {"roberta", "xlm-roberta", "camembert"}:
        sizes["type_vocab_size"] = 1
    if architecture == "deberta-v2":
        relative = {"relative_attention": True, "position_buckets": 32, "pos_att_type": ["p2c", "c2p"]}
        return {**sizes, **relative, "position_biased_input": False, "share_att_key": True, "type_vocab_size": 0}
    return sizes


def export_onnx(folder: Path) -> Path:
    """Write ``onnx/model.onnx`` of a reader beside the folder's weights; needs torch and onnx."""
    from transformers import AutoModelForQuestionAnswering

    return _export(folder, AutoModelForQuestionAnswering, ["start_logits", "end_logits"])


def export_encoder_onnx(folder: Path, output: str = "last_hidden_state") -> Path:
    """Likewise of an encoder, which gives a vector for each token, or their mean as ``sentence_embedding``."""
    from transformers import AutoModel

    return _export(folder, AutoModel, [output])


def _export(folder: Path, kind: Any, outputs: list[str]) -> Path:
    import torch

    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    sample = torch.tensor([[2, 5, 3, 6, 7, 3], [2, 6, 3, 7, 5, 3]])
    given = {"input_ids": sample, "attention_mask": torch.ones_like(sample)}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        given["token_type_ids"] = torch.zeros_like(sample)

    class Outputs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *inputs: Any) -> Any:
            found = dict(self.model(**dict(zip(given, inputs, strict=True))))
            if "last_hidden_state" in found:
                mask = inputs[1].unsqueeze(-1)
                found["sentence_embedding"] = (found["last_hidden_state"] * mask).sum(1) / mask.sum(1)
            return tuple(found[name] for name in outputs)

    target = folder / "onnx" / "model.onnx"
    target.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own age and of every traced shape
        torch.onnx.export(
            Outputs(),
            tuple(given.values()),
            str(target),
            dynamo=False,
            input_names=list(given),
            output_names=outputs,
            dynamic_axes={name: {0: "windows", 1: "tokens"} for name in [*given, *outputs]},
        )
    return target
