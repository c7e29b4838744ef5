# One image for every role: `citewell serve`, `citewell worker`. Built from constraints.txt, with the CPU build of torch.
FROM python:3.11-slim AS build
WORKDIR /src
# PIP_EXTRA_INDEX_URL as a build argument names an index of CPU builds of PyTorch; see `make install`.
ARG PIP_EXTRA_INDEX_URL=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml constraints.txt README.md ./
RUN python -m venv /venv && /venv/bin/pip install --no-deps --constraint constraints.txt torch==2.13.0
COPY indexes indexes
COPY ingestion ingestion
COPY retrieval retrieval
COPY generation generation
COPY evaluation evaluation
COPY api api
RUN /venv/bin/pip install --constraint constraints.txt '.[server]'

FROM python:3.11-slim
COPY --from=build /venv /venv
RUN useradd --create-home --uid 10001 citewell && install --directory --owner citewell /data
USER citewell
ENV PATH=/venv/bin:$PATH CITEWELL_HOME=/data CITEWELL_SERVER__HOST=0.0.0.0 HF_HUB_OFFLINE=1
VOLUME /data
EXPOSE 8080
CMD ["citewell", "serve"]
