"""The database itself refuses a product's link to another tenant's service."""

from django.db import migrations

FORWARD = """
ALTER TABLE products_productservice
    ADD CONSTRAINT product_service_product_tenant FOREIGN KEY (product_id, tenant_id) REFERENCES products_product (id, tenant_id) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT product_service_service_tenant FOREIGN KEY (service_id, tenant_id) REFERENCES products_apiservice (id, tenant_id) DEFERRABLE INITIALLY DEFERRED;
"""
BACK = """
ALTER TABLE products_productservice DROP CONSTRAINT product_service_product_tenant, DROP CONSTRAINT product_service_service_tenant;
"""


class Migration(migrations.Migration):
    dependencies = [("products", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
