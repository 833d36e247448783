"""Prompts as a model's own chat template renders them, by transformers.

Reads {"model": DIR, "role": "system" or "user", "prompts": [TEXT...]} and writes [TEXT...], both as JSON: each prompt as the
only message, up to where the assistant's answer begins. Ends with 2 and a reason on stderr where the model has no template
or the template cannot take the role.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

from jinja2 import TemplateError  # noqa: E402
from transformers import PreTrainedTokenizerFast  # noqa: E402


def main():
    request = json.load(sys.stdin)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(request["model"])
    if not tokenizer.chat_template:
        sys.exit("no chat template in tokenizer_config.json, and no chat_template.jinja")
    conversations = [[{"role": request["role"], "content": prompt}] for prompt in request["prompts"]]
    try:
        texts = tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        sys.exit(f"a chat template that refuses: {error}")
    json.dump(texts, sys.stdout)


main()
