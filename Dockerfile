# The app with the starter. For other models bring the registry at start,
#   docker build --target cpu --tag deepfake-detector .
#   docker run --publish 8501:8501 --volume "$PWD/mlruns:/app/mlruns" deepfake-detector
# For a GPU: --target gpu, and `docker run --gpus all`.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/opt/venv/bin:$PATH TF_CPP_MIN_LOG_LEVEL=2 TF_ENABLE_ONEDNN_OPTS=1
# OpenCV's wheel loads these two. Debian drops old versions from its archive, so a pinned one breaks the build.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/*

FROM base AS packages
WORKDIR /app
RUN python -m venv /opt/venv
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .

FROM packages AS gpu-packages
RUN pip install --no-cache-dir --editable ".[gpu]"

FROM base AS program
WORKDIR /app
RUN useradd --create-home --uid 1000 detector \
 && install --directory --owner detector mlruns models models/pretrained
# The registry is found from the folder that holds dvc.yaml.
COPY params.yaml dvc.yaml pyproject.toml ./
COPY .streamlit ./.streamlit
COPY app ./app
COPY src ./src
COPY models/starter ./models/starter
COPY keys ./keys
USER 1000
EXPOSE 8501
CMD ["streamlit", "run", "app/app.py", "--server.address=0.0.0.0"]

FROM program AS gpu
COPY --from=gpu-packages /opt/venv /opt/venv

FROM program AS cpu
COPY --from=packages /opt/venv /opt/venv
