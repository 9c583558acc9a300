"""The database itself refuses a publish of another tenant's product or gateway, or on a gateway that does not stand in the cluster."""

from django.db import migrations

FORWARD = """
ALTER TABLE publishes_productpublish
    ADD CONSTRAINT publish_product_tenant FOREIGN KEY (product_id, tenant_id) REFERENCES products_product (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT publish_gateway_tenant FOREIGN KEY (gateway_id, tenant_id) REFERENCES gateways_gateway (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT publish_gateway_cluster FOREIGN KEY (gateway_id, cluster_id) REFERENCES gateways_gatewaycluster (gateway_id, cluster_id) DEFERRABLE INITIALLY DEFERRED;
"""
BACK = """
ALTER TABLE publishes_productpublish
    DROP CONSTRAINT publish_product_tenant, DROP CONSTRAINT publish_gateway_tenant, DROP CONSTRAINT publish_gateway_cluster;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("publishes", "0001_initial"),
        ("products", "0002_same_tenant"),
        ("gateways", "0001_initial"),
    ]
    operations = [migrations.RunSQL(FORWARD, BACK)]
