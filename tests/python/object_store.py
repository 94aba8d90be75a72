"""moto's S3, with users who can do no more than their policy says."""

import json
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

REGION = "eu-west-1"


class ObjectStore:
    def __init__(self, endpoint, process):
        self.endpoint = endpoint
        self.keys = {}
        for _ in range(150):
            if process.poll() is not None:
                raise RuntimeError("moto ended")
            try:
                urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        else:
            raise RuntimeError("moto does not answer")

    def client(self, service, keys=("root", "root")):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def bucket(self, domain):
        return f"acme-{domain}"

    def add_domain(self, domain, data):
        """A bucket with `data` below lake/, and a user who can read it and nothing else."""
        bucket = self.bucket(domain)
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for path in sorted(data.rglob("*")):
            if path.is_file():
                s3.put_object(Bucket=bucket, Key=f"lake/{path.relative_to(data)}", Body=path.read_bytes())
        iam = self.client("iam")
        iam.create_user(UserName=domain)
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
                {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"},
            ],
        }
        iam.put_user_policy(UserName=domain, PolicyName="read", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=domain)["AccessKey"]
        self.keys[domain] = (key["AccessKeyId"], key["SecretAccessKey"])

    def enforce(self):
        """From here on, no request passes without a signature and a policy that allows it."""
        # Not the default type: a form is parsed away before moto reads the body.
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", data=b"0", headers=headers)
        urllib.request.urlopen(request, timeout=5).close()

    def environment(self):
        """The variables that [`storage_yaml`] refers to."""
        variables = {}
        for domain, (key, secret) in self.keys.items():
            variables[f"{domain.upper()}_KEY_ID"] = key
            variables[f"{domain.upper()}_SECRET"] = secret
        return variables

    def storage_yaml(self, domain, keys_of=None):
        prefix = (keys_of or domain).upper()
        return (
            "  - name: lake\n"
            f"    url: s3://{self.bucket(domain)}/lake/\n"
            "    options:\n"
            f"      region: {REGION}\n"
            f'      endpoint: "{self.endpoint}"\n'
            '      allow_http: "true"\n'
            "    secrets:\n"
            f"      access_key_id: env:{prefix}_KEY_ID\n"
            f"      secret_access_key: env:{prefix}_SECRET\n"
        )
