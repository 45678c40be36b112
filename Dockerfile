# kddn serve on the CPU: docker build -t kddn . && docker run --read-only -p 127.0.0.1:8000:8000 kddn
FROM python:3.12-slim AS build
COPY requirements/build.txt requirements/container.txt /locks/
COPY pyproject.toml README.md LICENSE NOTICE /kddn/
COPY src /kddn/src
RUN python -m venv /opt/build
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes --no-deps -r /locks/build.txt
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation -w /opt/build/wheels /kddn
RUN python -m venv /opt/kddn
RUN /opt/kddn/bin/pip install --no-cache-dir --require-hashes --no-deps -r /locks/container.txt
RUN /opt/kddn/bin/pip install --no-cache-dir --no-index --no-deps -f /opt/build/wheels kddn

FROM python:3.12-slim
COPY --from=build /opt/kddn /opt/kddn
ENV PYTHONDONTWRITEBYTECODE=1
USER 65534:65534
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/opt/kddn/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["/opt/kddn/bin/kddn", "serve", "--host", "0.0.0.0"]
