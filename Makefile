# make demo and make test create the environment if needed, then run. They need only Python and a C compiler.
# PYTHON: 3.10 to 3.13. VENV: where the environment goes. TORCH: another build of PyTorch, as pip arguments, such as
#   make test TORCH="torch==2.14.1 torchvision==0.29.1 --index-url URL"
PYTHON ?= python3
VENV ?= .venv
TORCH ?=

# Quoted, so that the path may have spaces; in quotes, the shell does not expand ~.
ENVIRONMENT := "$(VENV:~/%=$(HOME)/%)"
BIN := $(ENVIRONMENT)/bin

.PHONY: demo test lint bench gpu matrix small_hrnet environment
.SILENT:

demo: environment
	PYTHONWARNINGS=ignore $(BIN)/python tools/demo.py

test: export OMP_NUM_THREADS = 1
test: environment
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check

# The cost of attention as ratios to HRNet: docs/benchmarks.md.
bench: export PYTHONWARNINGS = ignore
bench: export CUDA_VISIBLE_DEVICES =
bench: export KINETO_LOG_LEVEL = 99
bench: export TORCH_CPP_LOG_LEVEL = ERROR
bench: environment
	$(BIN)/python tools/benchmark_speed.py --tasks inference --batches 1 8 --modes eager "ONNX Runtime" OpenVINO \
		--out work_dirs/speed_inference.json
	$(BIN)/python tools/benchmark_speed.py --tasks inference --layouts channels_last --out work_dirs/speed_channels_last.json
	$(BIN)/python tools/benchmark_speed.py --tasks training --batches 4 --layouts contiguous channels_last --dtypes float32 bfloat16 \
		--out work_dirs/speed_training.json
	$(BIN)/python tools/benchmark_speed.py --parts model --batches 8 --rounds 10 --data --out work_dirs/speed_model.json

# The tests and benchmarks that need a GPU. Without internet access: PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER_OF_WHEELS
gpu: export PYTHONWARNINGS = ignore
gpu: environment
	$(BIN)/python -m pytest -rs tests/test_cuda.py
	if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		$(BIN)/python tools/benchmark_speed.py --tasks inference --batches 1 32 --modes eager "CUDA graph" \
			--dtypes float32 float16 --rounds 10 --out work_dirs/speed_gpu_inference.json && \
		$(BIN)/python tools/benchmark_speed.py --tasks training --batches 32 --layouts contiguous channels_last \
			--dtypes float32 float16 bfloat16 --rounds 10 --out work_dirs/speed_gpu_training.json; \
	else echo 'no GPU that PyTorch can use: nothing was measured'; fi

# The tests in every kind of environment: docs/environments.md. Needs python3.10, python3.11, python3.13 and 32 GB of disk.
matrix:
	$(PYTHON) requirements/matrix.py

# The network that comes with the project, from photographs in $CA_HRNET_DATA/coco and drawn people: docs/small_hrnet.md.
small_hrnet: export PYTHONWARNINGS = ignore
small_hrnet: environment
	$(BIN)/python tools/make_synthetic_crowd.py --out "$${CA_HRNET_DATA:-data}/drawn" --train 6000 --val 150 --people 1 3 \
		--crowd-index 0.15 --occluders 0.3 --facing 90
	$(BIN)/mim train mmpose configs/demo/hrnet_w16_128x96.py --work-dir work_dirs/small_hrnet --resume
	$(BIN)/python tools/convert_checkpoint.py half work_dirs/small_hrnet/epoch_140.pth ca_hrnet_plugin/small_hrnet.pth

environment:
	$(PYTHON) requirements/install.py $(ENVIRONMENT) --torch '$(TORCH)'
